use causeway_crypto::SealingKey;

fn show(key: &SealingKey) -> String {
    format!("{key:?}")
}

fn main() {}
