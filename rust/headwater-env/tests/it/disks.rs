//! Both disks obey the same laws.

use std::path::Path;

use headwater_env::conformance::check_disk;
use headwater_env::real::RealDisk;
use headwater_env::sim::SimDisk;
use headwater_env::{Disk, DiskFile, OpenMode};

#[test]
fn the_real_disk_obeys_the_laws() {
    let directory = tempfile::tempdir().unwrap();
    check_disk(&RealDisk, directory.path());
}

#[test]
fn the_simulated_disk_obeys_the_laws() {
    check_disk(&SimDisk::new(1), Path::new("/"));
}

#[test]
fn relative_paths_start_at_the_simulated_root() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("data")).unwrap();
    disk.open(Path::new("./data/file"), OpenMode::Create).unwrap().write_all_at(b"x", 0).unwrap();
    assert!(disk.exists(Path::new("/data/other/../file")).unwrap());
}
