use causeway_types::Secret;

fn main() {
    let _ = format!("{}", Secret::new(String::from("canary")));
}
