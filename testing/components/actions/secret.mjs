// A value that is to be kept out of sight.
export default {
  key: "suite-secret",
  name: "Secret value",
  version: "0.0.1",
  type: "action",
  props: { token: { type: "string", secret: true }, shown: { type: "string" } },
  async run({ $ }) {
    console.log(`token ${this.token}`);
    $.export("token", Buffer.from(this.token).toString("hex"));
    return { same: this.token.length, token: this.token, shown: this.shown };
  },
};
