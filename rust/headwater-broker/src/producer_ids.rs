//! Producer ids for idempotent producers, from blocks that the controller gives out.
//!
//! An id is never given twice: a block is the broker's once its record is committed, and what is left of it
//! at a restart is lost.

use std::ops::Range;

use headwater_controller::{Controller, ProducerIdError};
use headwater_env::Env;
use tokio::sync::Mutex;

/// The rest of the block in hand.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// An id that nobody has. Waits for a new block when the last one is used up.
    pub(crate) async fn next<E: Env>(
        &self,
        controller: &Controller<E>,
        node_id: i32,
        broker_epoch: i64,
    ) -> Result<i64, ProducerIdError> {
        // Held while waiting, so that a crowd of producers asks for one block and not for many.
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        *block = controller.allocate_producer_ids(node_id, broker_epoch).await?;
        block.next().ok_or(ProducerIdError::Exhausted)
    }
}
