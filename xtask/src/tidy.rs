//! `cargo xtask tidy`: rules for the sources that no compiler checks. Every finding says what to do instead.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::codegen::MARK;

/// Hand-written Rust files may have this many lines.
const LINES_MAX: usize = 800;

/// Words that must not be committed, and what to write instead.
fn banned() -> [(String, &'static str); 4] {
    // In two halves, so that this file does not find itself.
    [
        (["FIX", "ME"].concat(), "mend it, or describe the limit in the documentation"),
        (["to", "do!("].concat(), "write the code, or leave the function out"),
        (["unimple", "mented!("].concat(), "return an error that says what is not supported"),
        (["db", "g!("].concat(), "use `tracing`"),
    ]
}

/// Checks every text file that is in the repository or about to be.
pub fn run(root: &Path) -> Result<(), String> {
    let mut findings = Vec::new();
    let files = files(root)?;
    for path in &files {
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        check(path, &text, &mut findings);
    }
    if findings.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    Err(findings.join("\n"))
}

fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("git: {e}"))?;
    if !output.status.success() {
        return Err(format!("git: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect())
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| wanted.contains(&extension))
}

/// Adds `path:line: finding` for everything that is wrong in `text`.
fn check(path: &Path, text: &str, findings: &mut Vec<String>) {
    let mut find =
        |line: usize, finding: &str| findings.push(format!("{}:{line}: {finding}", path.display()));
    if !has_extension(path, &["rs", "py", "pyi", "toml", "md", "schema", "sh", "yml", "yaml"]) {
        return;
    }
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            find(index + 1, "white space at the end of the line; remove it");
        }
        for (word, instead) in banned() {
            if has_extension(path, &["rs", "py", "pyi"]) && line.contains(&word) {
                find(index + 1, &format!("`{word}`; {instead}"));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        find(text.lines().count(), "the last line does not end; add a newline");
    }
    if !has_extension(path, &["rs"]) {
        return;
    }
    let generated = text.starts_with(MARK);
    let claims = path.starts_with("rust/headwater-protocol/src/messages")
        || path.starts_with("rust/headwater-protocol/src/records");
    if claims && !generated {
        find(1, "a file among the generated ones without their mark; put hand-written code elsewhere");
    }
    let documented = text.lines().find(|line| !line.is_empty() && !line.starts_with("// @generated"));
    if !documented.is_some_and(|line| line.starts_with("//!")) {
        find(1, "the file does not open with `//!`; say what it is for");
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !generated {
        find(lines, &format!("{lines} lines; split the file, {LINES_MAX} are the limit"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(Path::new(path), text, &mut findings);
        findings
    }

    #[test]
    fn finds_each_kind_of_untidiness() {
        let word = banned()[1].0.clone();
        for (path, text, line) in [
            ("a.rs", "//! A.\nfn a() {} \n".to_owned(), 2),
            ("a.rs", format!("//! A.\n\nfn a() {{ {word}) }}\n"), 3),
            ("a.rs", "fn a() {}\n".to_owned(), 1),
            ("a.md", "no end".to_owned(), 1),
            ("a.rs", format!("//! A.\n{}", "\n".repeat(LINES_MAX)), LINES_MAX + 1),
            ("rust/headwater-protocol/src/messages/a.rs", "//! A.\n".to_owned(), 1),
        ] {
            let found = findings(path, &text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("{path}:{line}:")), "{found:?}");
        }
    }

    #[test]
    fn leaves_tidy_files_alone() {
        assert!(findings("a.rs", "//! A.\n\nfn a() {}\n").is_empty());
        assert!(
            findings("a.rs", &format!("{MARK}; do not edit.\n\n//! A.\n{}", "\n".repeat(2000))).is_empty()
        );
        assert!(findings("a.csv", "x \n").is_empty());
    }
}
