/** The colours of the ground, by day and by night: for the canvas, the style of MapLibre, and both alike. */

export interface Theme {
  /** Beneath everything, where nothing is known. */
  readonly ground: string;
  readonly gridLine: string;
  readonly gridFine: string;
  readonly gridText: string;
  readonly ring: string;
  readonly ringText: string;
  /** Pictures made for the day are dimmed by night. */
  readonly pictureAlpha: number;
  readonly land: string;
  readonly water: string;
  readonly waterText: string;
  readonly border: string;
  readonly coast: string;
  readonly text: string;
  readonly faintText: string;
  readonly halo: string;
  readonly wood: string;
  readonly park: string;
  readonly built: string;
  readonly sand: string;
  readonly ice: string;
  readonly road: string;
  readonly mainRoad: string;
  readonly roadEdge: string;
  readonly path: string;
  readonly rail: string;
  readonly building: string;
}

export const DAY: Theme = {
  ground: "#f4f2ec",
  gridLine: "#d8d4c8",
  gridFine: "#e8e5dc",
  gridText: "#857f70",
  ring: "#86a39b",
  ringText: "#4f6a62",
  pictureAlpha: 1,
  land: "#f6f3ec",
  water: "#bcd8e6",
  waterText: "#3f6d86",
  border: "#b9ae9c",
  coast: "#9dc0d3",
  text: "#4a4740",
  faintText: "#7b7568",
  halo: "#fbf9f4",
  wood: "#d3e3c8",
  park: "#dcebd0",
  built: "#ece8df",
  sand: "#f3ead3",
  ice: "#f5fafc",
  road: "#ffffff",
  mainRoad: "#fbe3a4",
  roadEdge: "#ddd6c7",
  path: "#cbb594",
  rail: "#b8b3a8",
  building: "#e2dccf",
};

export const NIGHT: Theme = {
  ground: "#151b21",
  gridLine: "#2a343d",
  gridFine: "#1e272f",
  gridText: "#7d8b95",
  ring: "#44605d",
  ringText: "#93b1ab",
  pictureAlpha: 0.72,
  land: "#1c242b",
  water: "#0e161d",
  waterText: "#6f95ab",
  border: "#43515c",
  coast: "#2c4250",
  text: "#c4cfd6",
  faintText: "#8697a2",
  halo: "#151b21",
  wood: "#1d2b26",
  park: "#1f2e28",
  built: "#212a32",
  sand: "#2a2a27",
  ice: "#26323b",
  road: "#323e48",
  mainRoad: "#4b4a3d",
  roadEdge: "#182026",
  path: "#4a463b",
  rail: "#3c4750",
  building: "#28323b",
};

export const themeOf = (isDark: boolean): Theme => (isDark ? NIGHT : DAY);
