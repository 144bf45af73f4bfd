use causeway_types::Secret;

fn main() {
    let _ = serde_json::to_string(&Secret::new(String::from("canary")));
}
