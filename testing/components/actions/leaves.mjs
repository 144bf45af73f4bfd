// Everything that code can do with what it holds in a credential's place.
export default {
  key: "suite-leaves",
  name: "Leaves traces",
  version: "0.0.1",
  type: "action",
  props: { echo: { type: "app", app: "echo_app" }, throws: { type: "boolean" } },
  async run({ $ }) {
    const key = this.echo.$auth.api_key;
    const answer = await fetch(`${this.echo.$auth.region}/base/back`, { headers: { "x-api-key": key } });
    const back = await answer.text();
    console.log(key, back);
    $.export("key", key);
    $.export("hex", Buffer.from(key).toString("hex"));
    if (this.throws) throw new Error(`with ${key} and ${back}`);
    return { key, back, status: answer.status, auth: this.echo.$auth };
  },
};
