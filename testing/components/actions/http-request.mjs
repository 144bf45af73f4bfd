// A request that somebody has put together as a prop.
export default {
  key: "suite-http-request",
  name: "Request",
  version: "0.0.1",
  type: "action",
  props: { request: { type: "http_request", label: "Request" } },
  async run() {
    const seen = await this.request.execute();
    return [seen.method, seen.query, seen.body, this.request.method];
  },
};
