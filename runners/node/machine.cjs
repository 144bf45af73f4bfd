// What Node reads from /proc, which the sandbox does not have.
'use strict';

function memoryUsage() {
  const heap = require('v8').getHeapStatistics();
  return {
    rss: memoryUsage.rss(),
    heapTotal: heap.total_heap_size,
    heapUsed: heap.used_heap_size,
    external: heap.external_memory,
    arrayBuffers: 0,
  };
}
/** The most so far: what the kernel tells without /proc. */
memoryUsage.rss = () => process.resourceUsage().maxRSS * 1024;
process.memoryUsage = memoryUsage;
