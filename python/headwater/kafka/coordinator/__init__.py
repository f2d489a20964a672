"""How groups share partitions; here only to be named in `partition_assignment_strategy`."""
