// An app's methods see their account and each other, and not the component.
import echo from "../echo.app.mjs";

export default {
  key: "suite-app-methods",
  name: "Methods of the app",
  version: "0.0.1",
  type: "action",
  props: { echo, text: { type: "string" } },
  async run({ $ }) {
    const seen = await this.echo.call({ $, path: "/methods", method: "POST", data: { text: this.text } });
    return { sees: this.echo.whoami(), method: seen.method, body: seen.body };
  },
};
