/**
 * Classifies a text with Hugging Face's own client: `hugging_face.ts URL TEXT`. It has a
 * configuration of its own, so that nothing but this test downloads the client.
 *
 * @module
 */
import { InferenceClient } from "@huggingface/inference";

const [url, text] = Deno.args;
const request = { inputs: text! };
const client = new InferenceClient();
const answers = [
  await client.textClassification({ ...request, endpointUrl: url! }),
  await client.endpoint(url!).textClassification(request),
  await client.textClassification({ ...request, endpointUrl: `${url}/models/titles` }),
  await client.endpoint(`${url}/models/titles`).textClassification({
    ...request,
    parameters: { top_k: 1 },
  }),
];
console.log(JSON.stringify(answers));
