//! A node: network, one handler file per API, replicas, embedding
