//! Packages from stand-ins of the registries on loopback, chosen by the real npm and pip in real
//! sandboxes.

mod kit;
mod node;
mod python;
mod real;
mod scripts;
mod stand_in;
