//! Protobuf: schemas as a registry keeps them.

mod ast;
mod definition;
#[cfg(test)]
mod definition_tests;
mod descriptor;
mod diff;
mod known;
mod lexer;
mod link;
mod normal;
mod parser;
mod print;
mod wire;

pub use definition::ProtobufDefinition;
