"""Where what windows need is online."""

from dataclasses import dataclass

from spark_fs.online.live.windows import LiveWindows
from spark_fs.planning.plan import PlanNode
from spark_fs.planning.window_plan import BoundFeature, WindowPlan
from spark_fs.spec.feature_group import GroupSpec


@dataclass(frozen=True)
class LiveSource:
    """A group that keeps online what its windows need.

    windows: its windows, which say how that lies.
    """

    group: GroupSpec
    windows: WindowPlan

    def open_windows(self, node: PlanNode, names: list[str]) -> LiveWindows:
        """What finishes some features of a node, by their names there."""
        assert node.windows
        features: list[BoundFeature] = []
        by_name = {feature.name: feature for feature in node.windows.features}
        for name in names:
            features.append(by_name[name])
        is_closed = node.windows.closed == "both"
        return LiveWindows(self.windows, features, is_closed, str(self.group))
