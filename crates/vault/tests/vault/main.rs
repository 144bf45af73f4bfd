//! The vault on both databases, with its root key in a file and in AWS KMS.

mod file;
mod house;
mod kms;
mod rotation;
mod seals;
