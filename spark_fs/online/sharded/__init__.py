"""An online store whose entities are dealt to several databases, behind the interface of one."""
