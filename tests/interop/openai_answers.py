"""Asks a server by OpenAI's client what test_serve.py wants to know. Its argument is JSON; the last line that it prints, too."""

import json
import sys

import openai


def refusal(ask):
    try:
        ask()
    except openai.OpenAIError as error:
        return type(error).__name__
    return None


def main():
    asked = json.loads(sys.argv[1])
    client = openai.OpenAI(base_url=asked["server"] + "/v1", api_key="none", max_retries=0)
    how = {"model": asked["model"], "max_tokens": 9, "temperature": 0}
    messages = [{"role": "user", "content": asked["prompt"]}]
    whole = client.completions.create(prompt=asked["prompt"], logprobs=3, **how)
    stream = client.completions.create(prompt=asked["prompt"], stream=True, **how)
    chat = client.chat.completions.create(messages=messages, **how)
    chat_stream = client.chat.completions.create(messages=messages, stream=True, stream_options={"include_usage": True}, **how)
    print(json.dumps({
        "models": [model.id for model in client.models.list()],
        "text": whole.choices[0].text,
        "top": [len(top) for top in whole.choices[0].logprobs.top_logprobs],
        "streamed": "".join(chunk.choices[0].text for chunk in stream),
        "chat": chat.choices[0].message.content,
        "chat_streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chat_stream if chunk.choices),
        "refused": [refusal(lambda: client.completions.create(prompt="a", model=asked["model"], presence_penalty=1)),
                    refusal(lambda: client.completions.create(prompt="a", model="other"))],
    }))


if __name__ == "__main__":
    main()
