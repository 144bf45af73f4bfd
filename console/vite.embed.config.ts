// The script for host pages: one file that keeps its name, since others link to it.
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: 'types',
  build: {
    outDir: 'dist',
    emptyOutDir: false,
    target: 'es2020',
    lib: {
      entry: 'src/embed/connect.ts',
      name: 'Causeway',
      formats: ['iife'],
      fileName: () => 'connect.js',
    },
  },
});
