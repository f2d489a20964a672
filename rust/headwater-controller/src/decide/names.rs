//! Which names a topic may have. Kafka's rules.

use crate::error::TopicError;
use crate::image::TopicsImage;

/// Longest topic name, in characters: with a partition's suffix it must fit into a file name.
const TOPIC_NAME_LENGTH_MAX: usize = 249;

/// The topic that Kafka keeps its metadata in. Ours is elsewhere, but whoever uses both must not take one for the other.
const RESERVED: &str = "__cluster_metadata";

/// Checks a topic name by itself.
///
/// # Errors
/// [`TopicError::InvalidName`] with what is wrong with it.
pub fn check(name: &str) -> Result<(), TopicError> {
    let problem = match name {
        "" => "a topic name must not be empty".to_owned(),
        "." | ".." => format!("`{name}` cannot be a topic name"),
        _ if name.len() > TOPIC_NAME_LENGTH_MAX => {
            format!("a topic name of {} characters is longer than {TOPIC_NAME_LENGTH_MAX}", name.len())
        }
        _ => match name.chars().find(|letter| !is_legal(*letter)) {
            Some(letter) => {
                format!("topic name `{name}` holds {letter:?}; letters, digits, `.`, `_` and `-` are allowed")
            }
            None => return Ok(()),
        },
    };
    Err(TopicError::InvalidName(problem))
}

/// Checks that the name is not one that no client may create.
pub(crate) fn check_reserved(name: &str) -> Result<(), TopicError> {
    if name == RESERVED {
        return Err(TopicError::InvalidRequest(format!(
            "the topic `{name}` is internal and cannot be created"
        )));
    }
    Ok(())
}

/// Checks that no topic has a name which metrics could not tell from this one.
pub(crate) fn check_collision(topics: &TopicsImage, name: &str) -> Result<(), TopicError> {
    match topics.colliding(name) {
        Some(other) => Err(TopicError::InvalidName(format!(
            "topic name `{name}` collides with topic `{other}`: `.` and `_` are not told apart in metric names"
        ))),
        None => Ok(()),
    }
}

fn is_legal(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

/// The name that `name` shares with those it collides with; `None` when it can collide with none.
pub(crate) fn normalized(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_rules() {
        let longest = "x".repeat(249);
        for name in ["a", "A-1_b.c", "...", "__consumer_offsets", longest.as_str()] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let too_long = "x".repeat(250);
        for name in ["", ".", "..", "a b", "a/b", "ä", "a\0", too_long.as_str()] {
            assert!(matches!(check(name), Err(TopicError::InvalidName(_))), "{name}");
        }
    }

    #[test]
    fn dots_and_underscores_are_the_same() {
        assert_eq!(normalized("a.b_c"), normalized("a_b.c"));
        assert_eq!(normalized("abc"), None);
    }
}
