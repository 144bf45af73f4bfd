// A source: described and listed, and not run yet. What says no type is one.
import echo from "../echo.app.mjs";

export default {
  key: "suite-new-item",
  name: "New item",
  version: "0.0.1",
  dedupe: "unique",
  props: {
    echo,
    db: "$.service.db",
    timer: { type: "$.interface.timer", default: { intervalSeconds: 900 } },
    http: { type: "$.interface.http", customResponse: true },
  },
  hooks: { async deploy() {} },
  async run(event) {
    this.$emit(event, { id: 1, summary: "one", ts: Date.now() });
  },
};
