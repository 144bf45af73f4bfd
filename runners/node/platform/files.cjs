// A file to read, by its path below /tmp or by its URL.
'use strict';

const { basename } = require('path');

const isUrl = (text) => /^https?:\/\//i.test(text);

/** A readable stream of its bytes. */
async function getFileStream(pathOrUrl) {
  return (await getFileStreamAndMetadata(pathOrUrl)).stream;
}

/** The same, with what is known of the file. */
async function getFileStreamAndMetadata(pathOrUrl) {
  return isUrl(pathOrUrl) ? remote(pathOrUrl) : local(pathOrUrl);
}

async function local(path) {
  const { createReadStream, promises } = require('fs');
  const { size, mtime } = await promises.stat(path);
  return { stream: createReadStream(path), metadata: { size, lastModified: mtime, name: basename(path) } };
}

async function remote(url) {
  const { Readable } = require('stream');
  const response = await fetch(url);
  if (!response.ok || !response.body) {
    throw new Error(`the file at ${new URL(url).host} was answered with status ${response.status}`);
  }
  const header = (name) => response.headers.get(name) ?? undefined;
  const modified = header('last-modified');
  const size = header('content-length');
  return {
    stream: Readable.fromWeb(response.body),
    metadata: {
      size: size === undefined ? undefined : Number(size),
      contentType: header('content-type'),
      lastModified: modified && new Date(modified),
      name: decodeURIComponent(basename(new URL(url).pathname)),
      etag: header('etag'),
    },
  };
}

module.exports = { getFileStream, getFileStreamAndMetadata };
