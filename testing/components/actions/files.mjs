// Files below /tmp and at URLs, as streams.
import { writeFile } from "fs/promises";
import { text } from "stream/consumers";
import { getFileStream, getFileStreamAndMetadata } from "@pipedream/platform";

export default {
  key: "suite-files",
  name: "Files",
  version: "0.0.1",
  type: "action",
  props: { url: { type: "string", format: "file-ref" } },
  async run() {
    await writeFile("/tmp/own.txt", "of its own");
    const local = await getFileStreamAndMetadata("/tmp/own.txt");
    const remote = await getFileStreamAndMetadata(this.url);
    return {
      local: [await text(local.stream), local.metadata.size, local.metadata.name],
      remote: [await text(remote.stream), remote.metadata.name, remote.metadata.contentType],
      again: await text(await getFileStream("/tmp/own.txt")),
    };
  },
};
