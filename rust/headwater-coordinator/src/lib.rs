//! Groups as pure state machines: time comes as an argument
