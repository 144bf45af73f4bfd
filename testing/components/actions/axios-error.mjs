// An answer that is an error: its body is the message, and the whole is exported.
import { axios } from "@pipedream/platform";

export default {
  key: "suite-axios-error",
  name: "Client with an error",
  version: "0.0.1",
  type: "action",
  props: { echo: { type: "app", app: "echo_app" } },
  async run({ $ }) {
    await axios($, { url: `${this.echo.$auth.region}/base/problem`, headers: { "x-api-key": this.echo.$auth.api_key } });
  },
};
