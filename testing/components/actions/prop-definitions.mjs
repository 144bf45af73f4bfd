// Props that are defined by their app: taken over, overridden, and with arguments for their options.
import echo from "../echo.app.mjs";

export default {
  key: "suite-prop-definitions",
  name: "Prop definitions",
  version: "0.0.1",
  type: "action",
  props: {
    echo,
    kind: { type: "string", label: "Kind", options: ["big", "small"] },
    item: {
      propDefinition: [echo, "item", ({ kind }) => ({ kind })],
      label: "Your item",
      useQuery: true,
    },
    colour: { propDefinition: [echo, "colour"] },
    limit: { propDefinition: [echo, "limit"] },
    own: {
      propDefinition: [echo, "colour"],
      async options({ page }) {
        return [{ label: "One", value: 1 }, { label: `Page ${page}`, value: { of: this.twice(page) } }];
      },
    },
  },
  methods: {
    twice: (number) => 2 * number,
  },
  async run() {
    return [this.item, this.limit];
  },
};
