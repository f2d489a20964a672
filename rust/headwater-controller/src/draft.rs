//! The draft: the image as it will be once the decisions made so far are committed.
//!
//! Decisions that travel in one raft entry are made one after the other, each seeing what those before it decided.
//! Nobody outside sees the draft, and it is thrown away after the entry: committed records are replayed again, by the
//! state machine, on the image that everybody sees.

use std::sync::Arc;

use headwater_record::Uuid;

use crate::decide::configs::ConfigPolicy;
use crate::error::ProposeError;
use crate::image::MetadataImage;
use crate::records::MetadataRecord;

/// Records after which no further operation joins an entry. One operation may still bring more than these.
const DRAFT_RECORDS_MAX: usize = 10_000;

/// Draws ids for new topics.
pub(crate) type IdSource = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// See the module.
pub(crate) struct Draft {
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    defect: Option<ProposeError>,
    policy: Arc<dyn ConfigPolicy>,
    new_id: IdSource,
}

impl Draft {
    pub(crate) fn new(image: &MetadataImage, policy: Arc<dyn ConfigPolicy>, new_id: IdSource) -> Draft {
        let mut image = image.clone();
        // The entry that will carry the records most likely comes next; the state machine knows for certain.
        image.index += 1;
        Draft { image, records: Vec::new(), defect: None, policy, new_id }
    }

    pub(crate) fn image(&self) -> &MetadataImage {
        &self.image
    }

    pub(crate) fn policy(&self) -> &dyn ConfigPolicy {
        self.policy.as_ref()
    }

    pub(crate) fn new_id(&self) -> Uuid {
        (self.new_id)()
    }

    /// A draft of its own, for what is only to be validated.
    pub(crate) fn aside(&self) -> Draft {
        Draft {
            image: self.image.clone(),
            records: Vec::new(),
            defect: None,
            policy: self.policy.clone(),
            new_id: self.new_id.clone(),
        }
    }

    /// Takes a decision in. A decision that does not replay is a defect of its manager: the draft then remembers it
    /// and nothing of the draft is ever proposed.
    pub(crate) fn take(&mut self, records: Vec<MetadataRecord>) {
        for record in &records {
            if let Err(error) = self.image.replay(record, self.image.index) {
                self.defect.get_or_insert(error.into());
                return;
            }
        }
        self.records.extend(records);
    }

    pub(crate) fn has_room(&self) -> bool {
        self.records.len() < DRAFT_RECORDS_MAX && self.defect.is_none()
    }

    /// What is to be proposed.
    pub(crate) fn finish(self) -> Result<Vec<MetadataRecord>, ProposeError> {
        match self.defect {
            Some(defect) => Err(defect),
            None => Ok(self.records),
        }
    }
}
