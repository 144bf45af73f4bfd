use causeway_crypto::WrappingKey;

fn copy(key: &WrappingKey) -> WrappingKey {
    key.clone()
}

fn main() {}
