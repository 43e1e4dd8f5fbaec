// What transformers.js answers on folders that ferry wrote; the same code runs in Node and in a browser.
//
// A case is {name, task, model, input, options}; its answer is what the task's pipeline gives, as plain JSON.
// Pictures lie in the model's folder, recordings are numbers.

async function answer(pipe, { task, model, input, options }, models) {
  switch (task) {
    case "question-answering":
      return pipe(input.question, input.context, options);
    case "zero-shot-classification":
      return pipe(input.text, input.candidate_labels, options);
    case "zero-shot-image-classification":
      return pipe(`${models}${model}/${input.image}`, input.candidate_labels, options);
    case "image-classification":
      return pipe(`${models}${model}/${input.image}`, options);
    case "feature-extraction":
      return (await pipe(input, options)).tolist();
    case "automatic-speech-recognition":
    case "audio-classification":
      return pipe(new Float32Array(input), options);
    default:
      return pipe(input, options);
  }
}

export async function answers(lib, cases, models) {
  const found = {};
  for (const one of cases) {
    try {
      const pipe = await lib.pipeline(one.task, one.model, { dtype: one.dtype, device: one.device, subfolder: one.subfolder });
      found[one.name] = await answer(pipe, one, models);
      await pipe.dispose();
    } catch (error) {
      found[one.name] = { error: String(error?.message ?? error) };
    }
  }
  return found;
}
