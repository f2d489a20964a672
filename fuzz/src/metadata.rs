//! The cluster's metadata: records on their own, and a directory of log and snapshots.

use headwater_controller::{Controller, ControllerOptions};
use headwater_env::sim;
use headwater_env::{Disk, Env};

use crate::log_files::write;
use crate::{Feed, mend};

const FILES_MAX: usize = 6;

/// A batch of records, or a snapshot: what decodes must encode to the same, and replays or says why not.
pub fn metadata_records(input: &[u8]) {
    let mut feed = Feed::new(input);
    if feed.u8() & 1 == 0 {
        headwater_controller::fuzzing::records(feed.rest());
    } else {
        let mut bytes = feed.rest().to_vec();
        mend::metadata_snapshot(&mut bytes);
        headwater_controller::fuzzing::snapshot(&bytes);
    }
}

/// Files of a metadata directory: it opens and opens again, or says why not.
pub fn metadata_log(input: &[u8]) {
    let mut feed = Feed::new(input);
    let mends = feed.u8() & 1 != 0;
    sim::run(1, |env| async move {
        let directory = seed_directory();
        env.disk().create_dir_all(&directory).expect("a folder on the simulated disk");
        for _ in 0..FILES_MAX {
            if feed.is_empty() {
                break;
            }
            let name = String::from_utf8_lossy(feed.chunk()).replace(['/', '\0'], "_");
            let mut bytes = feed.chunk().to_vec();
            match name.rsplit('.').next() {
                Some("log") if mends => mend::metadata_segment(&mut bytes),
                Some("snapshot") if mends => mend::metadata_snapshot(&mut bytes),
                Some("properties") if mends => mend::quorum_properties(&mut bytes),
                _ => {}
            }
            if !matches!(name.as_str(), "" | "." | "..") {
                write(&env, &directory.join(name), &bytes);
            }
        }
        let opened = Controller::open(env.clone(), directory.clone(), ControllerOptions::new(1)).await;
        let Ok(controller) = opened else { return };
        let image = controller.image();
        controller.shutdown().await;
        drop(controller);
        let again = Controller::open(env, directory, ControllerOptions::new(1)).await;
        let again =
            again.unwrap_or_else(|error| panic!("a directory that was closed does not open: {error}"));
        assert_eq!(again.image().topics, image.topics, "closed and opened again");
        assert_eq!(again.image().configs, image.configs, "closed and opened again");
        again.shutdown().await;
    });
}

pub(crate) fn seed_directory() -> std::path::PathBuf {
    std::path::PathBuf::from("/data").join(headwater_controller::METADATA_DIRECTORY)
}
