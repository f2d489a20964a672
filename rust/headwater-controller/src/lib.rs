//! Cluster metadata: decide, replay, immutable image, and the quorum that keeps it
