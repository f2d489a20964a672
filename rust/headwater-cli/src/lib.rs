//! The headwater command
