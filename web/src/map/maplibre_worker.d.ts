/** The address of MapLibre's worker, which vite.config.ts builds beside the page. */
declare module "virtual:maplibre-worker" {
  const url: string;
  export default url;
}
