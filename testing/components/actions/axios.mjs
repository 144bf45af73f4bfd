// The client: what is sent, what comes back.
import { axios } from "@pipedream/platform";
import echo from "../echo.app.mjs";

export default {
  key: "suite-axios",
  name: "Client",
  version: "0.0.1",
  type: "action",
  props: { echo },
  async run({ $ }) {
    const { region, api_key: key } = this.echo.$auth;
    const headers = { "x-api-key": key, "x-none": undefined };
    const url = `${region}/base/client?first=1`;
    const data = await axios($, { url, headers, params: { list: [1, 2], none: undefined, last: "ü" } });
    const whole = await axios($, { url, headers, method: "post", data: { a: 1, b: undefined }, returnFullResponse: true });
    const form = await axios($, {
      url, method: "PUT", data: { a: "x y" },
      headers: { ...headers, "content-type": "application/x-www-form-urlencoded" },
    });
    const own = axios.create({ baseURL: `${region}/base/`, headers });
    const text = await axios($, { url, headers, responseType: "text" });
    return {
      query: data.query,
      whole: [whole.status, whole.data.method, whole.data.body],
      form: form.body,
      path: (await own($, { url: "/below" })).path,
      text: typeof text,
      kept: (await axios($, { url, headers: {}, validateStatus: () => true, returnFullResponse: true })).status,
    };
  },
};
