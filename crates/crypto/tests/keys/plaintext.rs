use causeway_types::SecretBytes;
use causeway_types::place::Sealed;

fn store(_column: &Sealed) {}

fn main() {
    store(&SecretBytes::new(b"canary".to_vec()));
}
