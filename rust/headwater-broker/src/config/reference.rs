//! The reference page of configs, generated from the table.

use std::fmt::Write as _;

use super::key::{Effect, Key, Update};
use super::{broker_keys, topic_keys};

/// The page as Markdown.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configs\n\nNames, types and defaults are those of Apache Kafka 4.3; keys with the prefix `headwater.` are ours. A key marked *no effect* is accepted and listed, and changes nothing.\n",
    );
    section(&mut page, "Topic configs", topic_keys(), "broker config");
    section(&mut page, "Broker configs", broker_keys(), "also set by");
    page
}

fn section(page: &mut String, title: &str, keys: &[Key], synonyms_title: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "\n## {title}\n\n| name | type | default | {synonyms_title} | meaning |\n|---|---|---|---|---|"
    );
    for key in keys {
        let default = match key.default {
            None => "none".to_owned(),
            Some("") => "empty".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let synonyms: Vec<String> = key.synonyms.iter().map(|(name, _)| format!("`{name}`")).collect();
        let mut meaning = key.doc.to_owned();
        let _ = write!(meaning, " Expected: {}.", key.expected());
        if key.update == Update::Dynamic {
            meaning.push_str(" Can change at run time.");
        }
        if key.effect == Effect::Ignored {
            meaning.push_str(" *No effect.*");
        }
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} | {meaning} |",
            key.name,
            key.kind.name(),
            synonyms.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_line_for_each_key() {
        let page = reference_page();
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, topic_keys().len() + broker_keys().len());
        assert!(page.contains("`headwater.flush`"));
    }
}
