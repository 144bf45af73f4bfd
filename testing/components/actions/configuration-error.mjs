// The component finds that it is not configured as it needs.
import { ConfigurationError } from "@pipedream/platform";

export default {
  key: "suite-configuration-error",
  name: "Configuration error",
  version: "0.0.1",
  type: "action",
  props: { text: { type: "string" } },
  async run() {
    throw new ConfigurationError(`The text must not be ${this.text}`);
  },
};
