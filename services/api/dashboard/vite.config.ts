import { defineConfig } from 'vitest/config';

export default defineConfig({
  base: './', // the server knows under which path it is reached
  build: {
    outDir: 'dist',
    emptyOutDir: false, // the directory itself is kept for go:embed; `make web` empties it
    assetsInlineLimit: 0, // the content security policy allows no data: URL
    modulePreload: false,
    target: 'es2022',
    rollupOptions: { output: { assetFileNames: 'assets/[name]-[hash][extname]' } },
  },
  test: { include: ['test/**/*.test.ts'] },
});
