//! `cargo xtask layers`: a crate imports from lower tiers only, and heavy crates have one owner.
//!
//! Development dependencies are free. The picture is in ARCHITECTURE.md.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Tier of each crate of the workspace.
const TIERS: [(&str, u8); 12] = [
    ("headwater-env", 0),
    ("headwater-record", 0),
    ("headwater-security", 0),
    ("headwater-protocol", 1),
    ("headwater-log", 1),
    ("headwater-client", 2),
    ("headwater-controller", 2),
    ("headwater-coordinator", 2),
    ("headwater-broker", 3),
    ("headwater-arrow", 3),
    ("headwater-cli", 4),
    ("headwater-python", 5),
];

/// Crates that stand beside the tiers: nobody ships them.
const DEVELOPMENT: [&str; 2] = ["headwater-sim", "xtask"];

/// Prefixes of outside crates, and who may import them.
const OWNERS: [(&str, &[&str]); 4] = [
    ("openraft", &["headwater-controller"]),
    ("pyo3", &["headwater-python"]),
    ("arrow", &["headwater-arrow"]),
    ("parquet", &["headwater-arrow"]),
];

/// The extension module hands Arrow data over the C interface, for which it needs these and no more.
const PYTHON_ARROW: [&str; 2] = ["arrow-array", "arrow-schema"];

/// Checks the dependencies that `cargo metadata` reports.
pub fn run(root: &Path) -> Result<(), String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let imports = imports(&metadata);
    let findings: Vec<String> = imports.iter().filter_map(|(from, to)| judge(from, to)).collect();
    if findings.is_empty() {
        println!("{} imports keep to their tiers", imports.len());
        return Ok(());
    }
    Err(findings.join("\n"))
}

/// Pairs of (crate, dependency), without development dependencies.
fn imports(metadata: &Value) -> Vec<(String, String)> {
    let mut imports = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"].as_str() != Some("dev")
                && let (Some(from), Some(to)) = (package["name"].as_str(), dependency["name"].as_str())
            {
                imports.push((from.to_owned(), to.to_owned()));
            }
        }
    }
    imports
}

fn tier(name: &str) -> Option<u8> {
    TIERS.iter().find(|(own, _)| *own == name).map(|(_, tier)| *tier)
}

/// What is wrong with `from` importing `to`, if anything.
fn judge(from: &str, to: &str) -> Option<String> {
    if DEVELOPMENT.contains(&from) {
        return None;
    }
    let Some(own) = tier(from) else {
        return Some(format!("{from} has no tier; give it one in xtask/src/layers.rs and ARCHITECTURE.md"));
    };
    if to.starts_with("headwater-") || DEVELOPMENT.contains(&to) {
        return match tier(to) {
            Some(other) if other < own => None,
            Some(other) => Some(format!(
                "{from} (tier {own}) imports {to} (tier {other}); move what both need to a lower tier"
            )),
            None => {
                Some(format!("{from} imports {to}, which does not ship; make it a development dependency"))
            }
        };
    }
    let (prefix, owners) =
        OWNERS.iter().find(|(prefix, _)| to == *prefix || to.starts_with(&format!("{prefix}-")))?;
    let passed = from == "headwater-python" && PYTHON_ARROW.contains(&to);
    (!owners.contains(&from) && !passed).then(|| {
        format!("{from} imports {to}; only {} may import {prefix}, go through its types", owners.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_breaks_the_tiers() {
        for (from, to) in [
            ("headwater-record", "headwater-env"),
            ("headwater-log", "headwater-protocol"),
            ("headwater-client", "headwater-broker"),
            ("headwater-broker", "openraft"),
            ("headwater-cli", "pyo3"),
            ("headwater-client", "arrow-array"),
            ("headwater-python", "arrow-select"),
            ("headwater-cli", "parquet"),
            ("headwater-log", "xtask"),
            ("headwater-common", "bytes"),
        ] {
            assert!(judge(from, to).is_some(), "{from} imports {to}");
        }
    }

    #[test]
    fn accepts_what_keeps_to_them() {
        for (from, to) in [
            ("headwater-log", "headwater-record"),
            ("headwater-broker", "headwater-controller"),
            ("headwater-controller", "openraft"),
            ("headwater-python", "arrow-array"),
            ("headwater-arrow", "parquet"),
            ("headwater-record", "bytes"),
            ("xtask", "headwater-python"),
        ] {
            assert_eq!(judge(from, to), None);
        }
    }

    #[test]
    fn development_dependencies_are_free() {
        let metadata = serde_json::json!({"packages": [{"name": "headwater-env", "dependencies": [
            {"name": "headwater-broker", "kind": "dev"}, {"name": "bytes", "kind": null}]}]});
        assert_eq!(imports(&metadata), [("headwater-env".to_owned(), "bytes".to_owned())]);
    }
}
