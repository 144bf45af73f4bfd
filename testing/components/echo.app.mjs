// The app of these components: methods that call it, and definitions of props that list its things.
import { axios } from "@pipedream/platform";

export default {
  type: "app",
  app: "echo_app",
  propDefinitions: {
    item: {
      type: "string",
      label: "Item",
      description: "One of the app's items",
      async options({ page, prevContext, query, kind }) {
        const seen = await this.call({ path: "/items", params: { page, kind, query, from: prevContext.next } });
        return {
          options: [{ label: `${kind ?? "any"} item of page ${page}`, value: seen.query }],
          context: { next: page + 1 },
        };
      },
    },
    colour: {
      type: "string",
      label: "Colour",
      options: () => ["red", "green"],
    },
    limit: { type: "integer", label: "Limit", default: 10, min: 1, max: 100 },
  },
  methods: {
    whoami() {
      return Object.keys(this).sort();
    },
    call({ $ = this, path, ...rest }) {
      return axios($, {
        url: `${this.$auth.region}/base${path}`,
        headers: { "x-api-key": this.$auth.api_key },
        ...rest,
      });
    },
  },
};
