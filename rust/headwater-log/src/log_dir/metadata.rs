//! `meta.properties`: whose data directory this is. Java's properties format, version 1 as Kafka 4 has it.

use std::path::Path;

use headwater_env::{Disk, Env, crashsafe};
use headwater_record::Uuid;

use super::OpenDirError;
use crate::checkpoint::read_text;
use crate::context::{Context, read_failed};

/// Name of the file.
pub(crate) const FILE_NAME: &str = "meta.properties";
const VERSION: &str = "1";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Kafka allows any text; ours are UUIDs.
    pub(crate) cluster_id: String,
    pub(crate) node_id: i32,
    pub(crate) directory_id: Uuid,
}

impl Metadata {
    fn encode(&self) -> String {
        // Sorted as Kafka sorts them. None of the values holds a character that the format escapes.
        format!(
            "#\ncluster.id={}\ndirectory.id={}\nnode.id={}\nversion={VERSION}\n",
            self.cluster_id, self.directory_id, self.node_id
        )
    }

    fn decode(text: &str) -> Result<Metadata, String> {
        let mut values = std::collections::BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with('#') || line.starts_with('!') {
                continue;
            }
            let (key, value) =
                line.split_once('=').ok_or_else(|| format!("expected `key=value`, not `{line}`"))?;
            values.insert(key.trim(), value.trim());
        }
        let get = |key: &str| values.get(key).copied().ok_or_else(|| format!("`{key}` is missing"));
        let version = get("version")?;
        if version != VERSION {
            return Err(format!("version {version} is not {VERSION}"));
        }
        Ok(Metadata {
            cluster_id: get("cluster.id")?.to_owned(),
            node_id: get("node.id")?.parse().map_err(|_| "`node.id` is not a number".to_owned())?,
            directory_id: get("directory.id")?
                .parse()
                .map_err(|_| "`directory.id` is not an id".to_owned())?,
        })
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read<D: Disk>(disk: &D, directory: &Path) -> Result<Option<Metadata>, OpenDirError> {
        let path = directory.join(FILE_NAME);
        let text = read_text(disk, &path).map_err(|error| read_failed(&path, error))?;
        text.as_deref()
            .map(Metadata::decode)
            .transpose()
            .map_err(|reason| OpenDirError::Malformed { path, reason })
    }

    /// Reads the file and compares it, or makes it.
    pub(crate) fn open<E: Env>(
        context: &Context<E>,
        directory: &Path,
        node_id: i32,
        cluster_id: Option<Uuid>,
    ) -> Result<Metadata, OpenDirError> {
        let foreign = |what, found: String, expected: String| OpenDirError::Foreign {
            directory: directory.to_owned(),
            what,
            found,
            expected,
        };
        if let Some(found) = Metadata::read(context.env.disk(), directory)? {
            if found.node_id != node_id {
                return Err(foreign("node.id", found.node_id.to_string(), node_id.to_string()));
            }
            return match cluster_id {
                Some(expected) if expected.to_string() != found.cluster_id => {
                    Err(foreign("cluster.id", found.cluster_id, expected.to_string()))
                }
                _ => Ok(found),
            };
        }
        let cluster_id = cluster_id.unwrap_or_else(|| random_uuid(&context.env)).to_string();
        let made = Metadata { cluster_id, node_id, directory_id: random_uuid(&context.env) };
        let path = directory.join(FILE_NAME);
        crashsafe::write_file(context.env.disk(), &path, made.encode().as_bytes())
            .map_err(|error| context.write_failed(&path, "write", error))?;
        Ok(made)
    }
}

/// An id that Kafka would accept.
pub(crate) fn random_uuid<E: Env>(env: &E) -> Uuid {
    loop {
        let mut bytes = [0; 16];
        env.fill_random(&mut bytes);
        if let Some(id) = Uuid::from_random(bytes) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let metadata = Metadata {
            cluster_id: "4L6g3nShT-eMCtK--X86sw".to_owned(),
            node_id: 7,
            directory_id: Uuid::from_bytes([9; 16]),
        };
        assert_eq!(Metadata::decode(&metadata.encode()), Ok(metadata));
    }

    #[test]
    fn what_kafka_writes_is_read() {
        let text = "#\n#Mon Nov 23 07:00:00 UTC 2026\ncluster.id=4L6g3nShT-eMCtK--X86sw\n\
                    directory.id=CQkJCQkJCQkJCQkJCQkJCQ\nnode.id=1\nversion=1\n";
        assert_eq!(Metadata::decode(text).unwrap().node_id, 1);
        for text in ["", "version=1\n", "version=0\nnode.id=1\n", "what\n"] {
            assert!(Metadata::decode(text).is_err(), "{text:?}");
        }
    }
}
