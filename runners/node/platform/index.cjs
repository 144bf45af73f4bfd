// What components import as `@pipedream/platform`, written anew from what they do with it.
'use strict';

const { axios } = require('./axios.cjs');
const { getFileStream, getFileStreamAndMetadata } = require('./files.cjs');
const { jsonStringifySafe, cloneSafe } = require('./json.cjs');

/** How often a polling source looks if nothing else is said, in seconds. */
const DEFAULT_POLLING_SOURCE_TIMER_INTERVAL = 15 * 60;

/** The component has not been configured as it needs to be. */
class ConfigurationError extends Error {
  constructor(message, exposeStack = false) {
    super(message);
    this.name = 'ConfigurationError';
    this.exposeStack = exposeStack;
  }
}

module.exports = {
  axios,
  ConfigurationError,
  DEFAULT_POLLING_SOURCE_TIMER_INTERVAL,
  getFileStream,
  getFileStreamAndMetadata,
  jsonStringifySafe,
  cloneSafe,
};
