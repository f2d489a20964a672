//! The finalised features: what every member of the cluster has agreed to understand.

use std::collections::BTreeMap;

use crate::records::MetadataRecord;

/// Feature levels by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeaturesImage {
    levels: BTreeMap<String, i16>,
}

impl FeaturesImage {
    /// The finalised level of a feature; `None` when it is off.
    pub fn level(&self, name: &str) -> Option<i16> {
        self.levels.get(name).copied()
    }

    /// All finalised features with their levels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (name.as_str(), *level))
    }

    pub(super) fn replay(&mut self, name: &str, level: i16) {
        if level == 0 {
            self.levels.remove(name);
        } else {
            self.levels.insert(name.to_owned(), level);
        }
    }

    pub(super) fn push_records(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(
            self.iter().map(|(name, level)| MetadataRecord::FeatureLevel { name: name.to_owned(), level }),
        );
    }
}
