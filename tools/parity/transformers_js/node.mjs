// node node.mjs TRANSFORMERS_JS MODELS < cases.json > answers.json
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { answers } from "./answers.mjs";

const [library, models] = process.argv.slice(2);
const lib = await import(pathToFileURL(library));
lib.env.allowRemoteModels = false;
lib.env.localModelPath = models;
const cases = JSON.parse(readFileSync(0, "utf8")).map((one) => ({ ...one, device: "cpu" }));
process.stdout.write(JSON.stringify(await answers(lib, cases, models)));
