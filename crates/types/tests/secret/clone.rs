use causeway_types::Secret;

fn main() {
    let _ = Secret::new(String::from("canary")).clone();
}
