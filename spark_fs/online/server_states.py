"""Ask each server of an online store what it holds."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from spark_fs.errors import OnlineStoreError
from spark_fs.online.replicated.store import ReplicatedStore
from spark_fs.online.replicated.watched_replica import WatchedReplica
from spark_fs.online.sharded.store import ShardedStore
from spark_fs.online.store import HEARTBEAT, OnlineStore
from spark_fs.spec.online_server import OnlineServer


def read_server_states(store: OnlineStore) -> list[OnlineServer]:
    """What each server says, all asked at once: shard by shard the primary, then its replicas."""
    shards = store.shards if isinstance(store, ShardedStore) else (store,)
    servers = []
    for number, shard in enumerate(shards):
        where = OnlineServer(shard.address, "primary", number + 1, len(shards))
        if not isinstance(shard, ReplicatedStore):
            servers.append(_AskedServer(shard, None, where))
            continue
        servers.append(_AskedServer(shard.primary, None, where))
        for replica in shard.replicas:
            where_replica = replace(where, address=replica.store.address, role="replica")
            servers.append(_AskedServer(replica.store, replica, where_replica))
    with ThreadPoolExecutor(len(servers)) as threads:
        return list(threads.map(_AskedServer.read_state, servers))


@dataclass(frozen=True)
class _AskedServer:
    """A server and where it is; replica: None for a primary."""

    store: OnlineStore
    replica: WatchedReplica | None
    where: OnlineServer

    def read_state(self) -> OnlineServer:
        try:
            age = 0.0 if self.replica is None else self.replica.measure_age()
            states = self.store.read_sync_states()
        except OnlineStoreError as error:
            return replace(self.where, error=str(error))
        last_syncs = [state.synced_at for name, state in states.items() if name != HEARTBEAT]
        return replace(
            self.where,
            age_seconds=None if math.isinf(age) else age,
            last_sync=max(last_syncs, default=None),
            versions={
                name: state.version for name, state in sorted(states.items()) if name != HEARTBEAT
            },
        )
