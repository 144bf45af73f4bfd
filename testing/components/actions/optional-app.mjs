// An app that nothing has to be linked to.
import echo from "../echo.app.mjs";

export default {
  key: "suite-optional-app",
  name: "Optional app",
  version: "0.0.1",
  type: "action",
  props: { echo: { ...echo, optional: true } },
  async run() {
    return this.echo.$auth;
  },
};
