// The pages. Their addresses are relative, since the public URL may have a path of its own: a page
// at `…/connect/TOKEN` finds its parts at `…/connect/assets/…`.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // What is inlined would need a policy that lets data in.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What the packages in the bundle ask to be passed on with it.
    license: { fileName: 'assets/licenses.md' },
    rolldownOptions: { input: 'connect.html' },
  },
});
