"""One module per client: `produce(bootstrap, topic, events, codec)` and `consume(bootstrap, topics, group, count)`."""
