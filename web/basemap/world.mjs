/**
 * The world as GeoJSON, a file a layer, for tippecanoe: `node basemap/world.mjs FOLDER`.
 * Countries are those of Natural Earth, 1 : 50 million, from the npm package world-atlas.
 */

import { createWriteStream, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { geoEquirectangular } from "d3-geo";
import { geoProject } from "d3-geo-projection";
import iso from "i18n-iso-countries";
import polylabel from "polylabel";
import { feature, mesh } from "topojson-client";

const folder = process.argv[2];
const { resolve } = createRequire(import.meta.url);
const world = JSON.parse(readFileSync(resolve("world-atlas/countries-50m.json"), "utf8"));
const { countries, land } = world.objects;

/** Degrees, as a plane: cut where the atlas goes across the date line. */
const plane = geoEquirectangular()
  .scale(180 / Math.PI)
  .translate([0, 0])
  .precision(0)
  .reflectY(true);
const flat = (geometry) => geoProject(geometry, plane);

const area = (ring) => {
  let sum = 0;
  for (let i = 0; i < ring.length - 1; i += 1) {
    const [[x1, y1], [x2, y2]] = [ring[i], ring[i + 1]];
    sum += x1 * y2 - x2 * y1;
  }
  const middle = ring.reduce((all, [, y]) => all + y, 0) / ring.length;
  return Math.abs(sum / 2) * Math.cos((middle * Math.PI) / 180);
};

/** Where a name is best put: in the middle of the largest part. */
const label = (country) => {
  const { type, coordinates } = flat(country.geometry);
  const parts = type === "Polygon" ? [coordinates] : coordinates;
  const largest = parts.reduce((best, each) => (area(each[0]) > area(best[0]) ? each : best));
  const [lng, lat] = polylabel(largest, 0.1);
  const size = area(largest[0]);
  const from = Math.max(1, Math.min(6, 5.3 - Math.log2(size) / 2));
  return {
    type: "Feature",
    properties: {
      name: country.properties.name,
      iso: iso.numericToAlpha2(country.id ?? "") ?? "",
      from: Math.round(from * 10) / 10,
      rank: -Math.round(size),
    },
    geometry: { type: "Point", coordinates: [lng, lat] },
  };
};

/** Lines without their parts along the edge of the plane, where the atlas is cut and no coast is. */
const inside = ({ coordinates }) => {
  const onEdge = ([x, y]) => Math.abs(x) > 179.999 || y < -89.9;
  const lines = [];
  for (const line of coordinates) {
    let part = [];
    line.forEach((at, i) => {
      if (i > 0 && onEdge(at) && onEdge(line[i - 1])) {
        if (part.length > 1) lines.push(part);
        part = [];
      }
      part.push(at);
    });
    if (part.length > 1) lines.push(part);
  }
  return { type: "MultiLineString", coordinates: lines };
};

const shape = (geometry) => ({ type: "Feature", properties: {}, geometry });
const layers = {
  land: feature(world, land).features.map((each) => shape(flat(each.geometry))),
  coasts: [shape(inside(flat(mesh(world, countries, (a, b) => a === b))))],
  borders: [shape(flat(mesh(world, countries, (a, b) => a !== b)))],
  names: feature(world, countries).features.map(label),
};
for (const [name, features] of Object.entries(layers)) {
  const file = createWriteStream(join(folder, `${name}.geojson`));
  for (const each of features) file.write(`${JSON.stringify(each)}\n`);
  file.end();
}
